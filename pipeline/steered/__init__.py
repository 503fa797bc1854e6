"""Open questions under steering: settings asked in batches, their answers scored, and facts beside."""
