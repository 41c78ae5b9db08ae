"""Spectra by a product are those of the transform."""

import torch

from codec.nn.fourier import fourier_matrix, spectrum


def test_the_product_is_the_transform():
    x = torch.randn(2, 3, 100, generator=torch.Generator().manual_seed(0))
    matrix = fourier_matrix(100, 128)
    product = (x @ matrix).unflatten(-1, (-1, 2))
    torch.testing.assert_close(spectrum(x, matrix), product, atol=1e-4, rtol=0)
    torch.testing.assert_close(product, torch.view_as_real(torch.fft.rfft(x, 128)), atol=1e-4, rtol=0)
