"""Learning: episodes are collected under stacked policies, and each run learns from its own."""
