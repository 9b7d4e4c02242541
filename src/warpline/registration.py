"""One registration from images to transforms. (Shape; being written.)"""
