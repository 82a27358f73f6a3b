echo "Hello from a Procfile!" > greeting.txt
