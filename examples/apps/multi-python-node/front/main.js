const answer = await (await fetch("/api")).json();
document.body.textContent = `Hello from ${answer.hello}`;
