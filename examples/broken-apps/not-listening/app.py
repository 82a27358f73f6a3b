import time

print("working, but never listening", flush=True)
while True:
    time.sleep(60)
