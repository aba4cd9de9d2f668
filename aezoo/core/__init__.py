"""What everything may use: errors, options, the contract of examples, files, priors. NumPy and the standard
library; imports no other room."""
