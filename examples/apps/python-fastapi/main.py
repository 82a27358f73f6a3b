from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.get("/")
async def hello():
    return {"hello": "FastAPI"}


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)
