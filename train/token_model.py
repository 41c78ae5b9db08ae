"""`python -m train.token_model TOKENS --out FILE`: the model that a codec's streams are entropy-coded with."""
