"""Images: arrays on grids, their intensities and their foreground."""
