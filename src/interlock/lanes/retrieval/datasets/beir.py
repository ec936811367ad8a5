"""stub"""
def write_beir(config, writer, *, root, progress): raise NotImplementedError
