"""What is checked before anything is computed: are these the models that they claim to be?"""
