"""The page of `aezoo explore`: a bundle in the browser."""
