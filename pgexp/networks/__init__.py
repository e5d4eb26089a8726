"""Networks and policy heads: functions of parameters and inputs in torch, most with a compiled forward pass."""
