"""Lane `directional_adapter`: which of two consecutive passages comes first?"""
