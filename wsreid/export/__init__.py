"""Models that leave the suite: one file that embeds images elsewhere, and a card that says what it is."""
