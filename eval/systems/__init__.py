"""Systems that can be measured: our codecs, other codecs, anchors, outputs made elsewhere."""
