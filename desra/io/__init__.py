"""All pixels and files: images, PNG by strips, listings, manifest, annotations, locks, drawing."""
