"""The pipeline: science modules, and the thin DVC stages that call them.

Science modules know nothing of DVC or Streamlit; stages know nothing of formulas.
"""
