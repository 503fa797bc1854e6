"""Will a profile run here, and is it what it seems to be? Asked before anything long begins."""
