import os

print("starting", flush=True)
if "PAYMENT_KEY" not in os.environ:
    raise RuntimeError("PAYMENT_KEY is not set")
