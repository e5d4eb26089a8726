"""Learning: agents collect batches, and a run learns from them."""
