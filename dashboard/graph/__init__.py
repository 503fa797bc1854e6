"""An attribution graph on the screen."""
