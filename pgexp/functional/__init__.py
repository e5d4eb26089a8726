"""The mathematics of policy gradients: tensors and arrays in, tensors and arrays out; no config, no state."""
