"""What is learnt and measured: task types, data sources, registry and catalogue."""
