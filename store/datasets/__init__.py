"""Dense groups of arrays, as xarray datasets."""
