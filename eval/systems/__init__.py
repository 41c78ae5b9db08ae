"""What is measured: our codecs, other codecs, and outputs made elsewhere, each behind the `System` protocol."""
