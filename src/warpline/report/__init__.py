"""Pictures and the page that show what a registration did."""
