"""What training starts from: initial weights, and which of them stay as they are."""
