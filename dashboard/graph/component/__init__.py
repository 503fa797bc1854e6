"""Browser components: JavaScript and CSS, mounted without a frame of their own."""
