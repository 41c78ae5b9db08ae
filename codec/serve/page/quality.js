// A slider over the number of codebooks, with the bitrate that it means.

/** Let `slider` choose n_q and `label` say what it is; `onchange()` follows. `codec` as of GET /v1/codec. */
export function setUpQuality(slider, label, codec, onchange) {
  const { codebook_sizes: sizes, sample_rate, hop_length } = codec;
  const bits = (nQ) => sizes.slice(0, nQ).reduce((sum, size) => sum + Math.log2(size), 0);
  const name = (nQ) => (nQ === 1 ? "semantic only" : nQ === sizes.length ? `all ${nQ} codebooks` : `${nQ} codebooks`);

  function show() {
    const nQ = Number(slider.value);
    const rate = ((sample_rate / hop_length) * bits(nQ)) / 1000;
    label.textContent = `${rate.toFixed(2)} kbit/s, ${name(nQ)}`;
    slider.setAttribute("aria-valuetext", label.textContent);
  }

  slider.max = slider.value = sizes.length;
  slider.addEventListener("input", () => {
    show();
    onchange();
  });
  show();
}
