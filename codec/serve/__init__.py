"""A speech server: one frame loop behind an HTTP interface that OpenAI's clients know."""
