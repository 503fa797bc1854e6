"""The dashboard: reads the artifact store, draws it, and steers the model live."""
