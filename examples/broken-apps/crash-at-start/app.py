import os

print("starting", flush=True)
print(os.environ["PAYMENT_KEY"])
