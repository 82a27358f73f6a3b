from flask import Flask

app = Flask(__name__, static_folder="dist", static_url_path="/assets")


@app.get("/")
def home():
    return app.send_static_file("index.html")


@app.get("/api")
def api():
    return {"hello": "Python and Node"}
