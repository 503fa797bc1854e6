"""Charts: a frame in, an Altair chart out; no reading and no Streamlit."""
