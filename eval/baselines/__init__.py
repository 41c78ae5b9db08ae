"""Other codecs to compare with, each behind the `System` protocol."""
