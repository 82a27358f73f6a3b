# A Sinatra app on the gems of the machine: no Gemfile.
require "sinatra/base"

class Hello < Sinatra::Base
  get "/" do
    "Hello from Sinatra\n"
  end
end

run Hello
