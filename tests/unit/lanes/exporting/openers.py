"""Openers that misbehave, for a fresh process to import."""

import numpy as np


class Lengths:
    """Answers one number to each request, the length of its text; the file is not looked at."""

    @classmethod
    def open(cls, path, *, threads=1):
        return cls()

    def answer(self, requests):
        return np.array([len(text) for text in requests], np.float32)


class NeedsTorch(Lengths):
    def answer(self, requests):
        import torch

        return torch.zeros(len(requests)).numpy()


class Forgetful(Lengths):
    """Answers the first request of a batch alone."""

    def answer(self, requests):
        return super().answer(requests[:1])


class NotANumber(Lengths):
    def answer(self, requests):
        return super().answer(requests) * np.float32("nan")
