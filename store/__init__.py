"""The artifact store: Zarr arrays indexed by prompt hash, layer, position and feature.

Knows neither torch nor streamlit. The format is written down in ``FORMAT.md``.
"""
