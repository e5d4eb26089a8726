"""Mathematics of policy gradients: functions of tensors and arrays, without config or state."""
