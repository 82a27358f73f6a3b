import os

from flask import Flask
from werkzeug.serving import run_simple

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello from Hatch!"


def main():
    run_simple(os.environ["BIND_ADDRESS"], int(os.environ["PORT"]), app, threaded=True)
