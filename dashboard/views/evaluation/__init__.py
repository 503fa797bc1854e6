"""Evaluation: how misaligned is each variant?"""
