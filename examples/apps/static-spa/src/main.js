document.querySelector("#greeting").textContent = `${GREETING} This is ${location.pathname}`;
