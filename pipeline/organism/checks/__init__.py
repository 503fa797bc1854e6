"""What the models that are trained here say and know: measured by the stages that train them."""
