"""Membership inference: does a model still betray that a pair was in its training data?"""
