"""Attribution graphs: the frozen model, the engine, adapter nodes, paired variants."""
