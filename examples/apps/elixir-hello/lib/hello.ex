defmodule Hello do
  @moduledoc "The smallest Elixir app: the HTTP server that comes with Erlang, no packages."

  use Application

  @impl true
  def start(_type, _arguments) do
    {:ok, address} = :inet.parse_address(String.to_charlist(System.fetch_env!("BIND_ADDRESS")))

    options = [
      port: String.to_integer(System.fetch_env!("PORT")),
      bind_address: address,
      server_name: 'hello',
      server_root: '/tmp',
      document_root: '/tmp',
      modules: [Hello]
    ]

    Supervisor.start_link([%{id: :httpd, start: {:inets, :start, [:httpd, options, :stand_alone]}}],
      strategy: :one_for_one
    )
  end

  @doc "Answers a request; called by httpd."
  def unquote(:do)(_request) do
    text = 'Hello from Elixir\n'
    head = [code: 200, content_length: Integer.to_charlist(length(text)), content_type: 'text/plain']
    {:proceed, [response: {:response, head, text}]}
  end
end
