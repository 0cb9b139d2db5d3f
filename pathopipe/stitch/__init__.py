"""The tiles' instances become the slide's instances."""
