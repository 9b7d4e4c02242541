"""Files in and out: images, transforms, and writing that leaves no half-written file behind."""
