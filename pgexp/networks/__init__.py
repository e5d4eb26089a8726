"""Networks and policy heads: functions of parameters and inputs [B, I] in torch, some with a compiled forward pass."""
