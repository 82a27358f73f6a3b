module Greeting
  def self.to(name)
    "Hello from #{name}\n"
  end
end
